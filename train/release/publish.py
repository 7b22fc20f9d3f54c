"""Upload of a release to the Hugging Face hub by its own client, whose settings (HF_TOKEN, HF_ENDPOINT) say which."""

import re
from pathlib import Path

from train.errors import UserError

SHOWN = 20  # names of files


def upload(folder: Path, names: list[str], repository: str, message: str, delete: bool = False) -> str:
    """Make a model's repository hold the files `names` of `folder` alone, in one commit; returns its address.

    The hub's own `.gitattributes` stays. Raises UserError when the hub does not take them, or when other files stand
    there and they are not to be deleted; then nothing is changed.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    try:
        api = HfApi()
        api.create_repo(repository, exist_ok=True)
        old = sorted(set(api.list_repo_files(repository)) - {*names, ".gitattributes"})
        if old and not delete:
            raise UserError(standing(repository, old))
        adding = [CommitOperationAdd(name, folder / name) for name in names]
        deleting = [CommitOperationDelete(name) for name in old]
        return api.create_commit(repository, [*adding, *deleting], commit_message=message).commit_url
    except UserError:
        raise
    except Exception as error:  # theirs are the errors of half a dozen libraries
        said = " ".join(str(error).split())[:300] or type(error).__name__
        status = getattr(getattr(error, "response", None), "status_code", None)
        hint = "; is HF_TOKEN set, to a token that may write there?" if status in (401, 403) else ""
        raise UserError(f"{repository}: not published: {said}{hint}") from None


def require_name(repository: str) -> None:
    """UserError for what no repository of the hub can be called."""
    if (
        not re.fullmatch(r"(?!.*(?:--|\.\.))(?:[\w][\w.-]*/)?[\w](?:[\w.-]*\w)?", repository, re.ASCII)
        or len(repository) > 96
    ):
        raise UserError(f"OWNER/NAME: expected letters, digits and - _ . in them (TO=owner/name), got {repository!r}")


def standing(repository: str, old: list[str]) -> str:
    """What is said of other files in a repository, each by its name."""
    shown = ", ".join(old[:SHOWN]) + (f" and {len(old) - SHOWN} more" if len(old) > SHOWN else "")
    return (
        f"{repository}: not published: files stand there that are not of this release, and would be deleted: {shown}; "
        "say --delete to have them deleted, or name another repository"
    )
