"""Make the images that tests, examples and benchmarks run.

Each image comes from a registry when one can be reached, else from Debian's packages and its recipe, a folder here or
in the example. An image made here carries the digest of its recipe as a label, so that it is made again only when the
recipe changed; an image without that label is somebody's own and is used as it is.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SHOP = "../../examples/shop"
LABEL = "strata.recipe"
PULL_SECONDS = 20

USELESS = ("var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man", "usr/share/locale")
DPKG_OPTIONS = "path-exclude=/usr/share/doc/*\npath-include=/usr/share/doc/*/copyright\npath-exclude=/usr/share/man/*\n"
APT_OPTIONS = """\
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
APT::AutoRemove::SuggestsImportant "false";
"""
NO_SERVICES = "#!/bin/sh\nexit 101\n"


@dataclass(frozen=True)
class Recipe:
    """A folder with a Dockerfile and what is made of it."""

    image: str
    folder: str
    options: tuple[str, ...] = ()
    suite: str = "trixie"
    published: bool = True
    wanted: bool = True

    @property
    def base(self) -> str:
        """The Debian image below it."""
        return f"debian:{self.suite}-slim"

    def digest(self) -> str:
        """What its content is: the same in every checkout."""
        told = hashlib.sha256(repr((self.image, self.options)).encode())
        files = (path for path in (FOLDER / self.folder).rglob("*") if path.is_file())
        for path in sorted(path for path in files if path.parent.name != "__pycache__"):
            told.update(f"{os.path.relpath(path, FOLDER)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
        return told.hexdigest()


RECIPES = (
    Recipe("postgres:17", "postgres"),
    Recipe("postgres:15", "postgres", ("--build-arg=SUITE=bookworm", "--build-arg=MAJOR=15"), suite="bookworm"),
    Recipe("redis:8", "redis"),
    Recipe("nginx:1", "nginx"),
    Recipe("busybox:1", "busybox"),
    Recipe("shop-api:1.0.0", f"{SHOP}/api", published=False),
    Recipe("shop-app:1.0.0", f"{SHOP}/app", published=False),
    Recipe("ledger-api:1.0.0", "../../examples/ledger/api", published=False),
    Recipe("strata-managed-host:latest", "managed-host", published=False),
    Recipe("strata-registry:latest", "registry", published=False, wanted=False),
    *(
        Recipe(
            f"strata-bare-host:{suite}",
            "managed-host",
            ("--target=bare", f"--build-arg=SUITE={suite}"),
            suite=suite,
            published=False,
            wanted=False,
        )
        for suite in ("trixie", "bookworm")
    ),
)


class Registry:
    """Where images are published; asked no more once it did not answer."""

    def __init__(self) -> None:
        self.answers = True

    def pulled(self, image: str) -> bool:
        """Whether it gave the image."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.answers = self.answers and self._pull(image)
            return self.answers
        self.answers = False
        return False

    @staticmethod
    def _pull(image: str) -> bool:
        with told(f"pulling {image}"):
            return docker("pull", "--quiet", image, check=False, timeout=PULL_SECONDS).returncode == 0


def main() -> None:
    """Make the images named on the command line, or all that the tests want."""
    registry = Registry()
    for recipe in chosen(arguments().names):
        ensure(recipe, registry)


def arguments() -> argparse.Namespace:
    """The command line."""
    names = ", ".join(recipe.image for recipe in RECIPES)
    parser = argparse.ArgumentParser(description="Make the images that the tests run.")
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"of {names}; with or without the tag")
    return parser.parse_args()


def chosen(names: Sequence[str]) -> list[Recipe]:
    """The recipes of these names; every wanted one when there are no names."""
    if not names:
        return [recipe for recipe in RECIPES if recipe.wanted]
    found = [recipe for recipe in RECIPES if {recipe.image, recipe.image.partition(":")[0]} & set(names)]
    missing = set(names) - {name for recipe in found for name in (recipe.image, recipe.image.partition(":")[0])}
    if missing:
        raise SystemExit(f"no recipe for {', '.join(sorted(missing))}: see --help")
    return found


def ensure(recipe: Recipe, registry: Registry) -> None:
    """Have the recipe's image in the engine, made from this very recipe or by somebody else."""
    label = label_of(recipe.image)
    if label == recipe.digest() or (label == "" and recipe.published):
        return
    if label is None and recipe.published and registry.pulled(recipe.image):
        return
    if label_of(recipe.base) is None and not registry.pulled(recipe.base):
        make_debian(recipe.suite, recipe.base)
    build(recipe)


def label_of(image: str) -> str | None:
    """The digest of the recipe that the image was made from, "" if by somebody else, None if there is no image."""
    shown = docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}', image, check=False)
    return shown.stdout.strip() if shown.returncode == 0 else None


def build(recipe: Recipe) -> None:
    """Build the recipe's folder."""
    with told(f"building {recipe.image}"):
        label = f"--label={LABEL}={recipe.digest()}"
        docker("build", "--tag", recipe.image, label, *recipe.options, str(FOLDER / recipe.folder))


def make_debian(suite: str, image: str) -> None:
    """Make a minimal Debian from its packages."""
    install_debootstrap()
    with told(f"making {image} by debootstrap"), tempfile.TemporaryDirectory(prefix="debian-") as folder:
        root = Path(folder, suite)
        run("debootstrap", "--variant=minbase", suite, str(root))
        slim(root)
        docker_import(root, image)


def install_debootstrap() -> None:
    """Have the debootstrap command."""
    if shutil.which("debootstrap", path=f"{os.environ['PATH']}:/usr/sbin"):
        return
    with told("installing debootstrap"):
        run("apt-get", "update")
        run("apt-get", "install", "--yes", "--no-install-recommends", "debootstrap", "debian-archive-keyring")


def slim(root: Path) -> None:
    """Leave out what no container needs, now and in later installations; start no services in builds."""
    for folder in USELESS:
        for path in [path for path in (root / folder).rglob("*") if not path.is_dir() and path.name != "copyright"]:
            path.unlink()
    (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(DPKG_OPTIONS)
    (root / "etc/apt/apt.conf.d/slim").write_text(APT_OPTIONS)
    (root / "usr/sbin/policy-rc.d").write_text(NO_SERVICES)
    (root / "usr/sbin/policy-rc.d").chmod(0o755)


def docker_import(root: Path, image: str) -> None:
    """Make an image of a folder."""
    with subprocess.Popen(["tar", "--directory", root, "--create", "."], stdout=subprocess.PIPE) as archive:
        subprocess.run(
            ["docker", "import", "--change", 'CMD ["bash"]', "-", image],
            stdin=archive.stdout,
            stdout=subprocess.DEVNULL,
            check=True,
        )


def docker(*arguments: str, check: bool = True, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    """Run the docker CLI."""
    return run("docker", *arguments, check=check, timeout=timeout)


def run(*command: str, check: bool = True, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in the background; its output is told only if it fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "DOCKER_BUILDKIT": "1"}
    environment["PATH"] += ":/usr/sbin:/sbin"
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, env=environment, check=False
    )
    if check and done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return done


@contextlib.contextmanager
def told(step: str) -> Iterator[None]:
    """Print one line for a step, and how long it took."""
    start = time.monotonic()
    print(step, end="", flush=True)
    try:
        yield
    finally:
        print(f" ({time.monotonic() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
