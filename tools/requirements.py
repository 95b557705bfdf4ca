"""Print what pyproject.toml asks for: the requirements of the build, of the package, and of the extras named.

usage: python requirements.py [extra ...]

An environment can so be filled before the package itself is built in it, from the one list there is.
"""

import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib  # every environment has pip, and pip reads TOML

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def requirements(extras: list[str]) -> list[str]:
    tables = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    project = tables["project"]
    wanted = [*tables["build-system"]["requires"], *project["dependencies"]]
    for extra in extras:
        for line in project["optional-dependencies"][extra]:
            own = line.removeprefix(f"{project['name']}[")  # "fastcopy-io[progress,xxhash]" names other extras
            wanted += [line] if own == line else requirements(own.removesuffix("]").split(","))
    return list(dict.fromkeys(wanted))


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1:])))
