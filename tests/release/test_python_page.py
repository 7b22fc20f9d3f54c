import re

from train.keys import ROOT


def test_the_lines_of_the_python_page_do_what_it_says(release, capsys):
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.S)
    code = code.replace('Path("releases/tiny-0.1.0")', f"Path({str(release)!r})")
    exec(code.replace("(release), 12)", "(release), 1)"), {})
    bits, *documents = capsys.readouterr().out.splitlines()
    assert 10 < float(bits.removesuffix(" bits")) < 1000
    assert documents and any("Apache-2.0" in line for line in documents)
