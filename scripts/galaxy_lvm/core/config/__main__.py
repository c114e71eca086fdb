"""Write all that follows from the models: python -m galaxy_lvm.core.config."""

from galaxy_lvm.core.config.load import CONFIG_FOLDER
from galaxy_lvm.core.config.render import write_all
from galaxy_lvm.core.config.snapshots import write_snapshots

if __name__ == "__main__":
    root = CONFIG_FOLDER.parent
    for path in [*write_all(root), *write_snapshots(root / "tests" / "snapshots" / "config")]:
        print(path.relative_to(root))
