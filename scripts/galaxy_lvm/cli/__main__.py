"""`python -m galaxy_lvm.cli` is `galaxy-lvm`."""

from galaxy_lvm.cli.main import main

if __name__ == "__main__":
    main(prog_name="galaxy-lvm")
