"""Upload of a release to the Hugging Face hub by its own client, whose settings (HF_TOKEN, HF_ENDPOINT) say which."""

from pathlib import Path

from train.config import UserError


def upload(folder: Path, names: list[str], repository: str, message: str) -> str:
    """Make a model's repository hold the files `names` of `folder` alone, in one commit; returns its address.

    The hub's own `.gitattributes` stays. Raises UserError when the hub does not take them; then nothing is changed.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    try:
        api = HfApi()
        api.create_repo(repository, exist_ok=True)
        old = set(api.list_repo_files(repository)) - {*names, ".gitattributes"}
        adding = [CommitOperationAdd(name, folder / name) for name in names]
        deleting = [CommitOperationDelete(name) for name in sorted(old)]
        return api.create_commit(repository, [*adding, *deleting], commit_message=message).commit_url
    except Exception as error:  # theirs are the errors of half a dozen libraries
        said = " ".join(str(error).split())[:300]
        raise UserError(f"{repository}: not published: {said or type(error).__name__}; is HF_TOKEN set?") from None
