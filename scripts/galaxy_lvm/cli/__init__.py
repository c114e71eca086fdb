"""The command `galaxy-lvm`, for people who have a folder of images and no workflow.

One module a subcommand, thin over the library. `main.COMMANDS` lists them; what a subcommand needs
is imported when it is called, so that `--help` answers at once.
"""
