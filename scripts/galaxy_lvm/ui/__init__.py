"""The labelling page: a session of the human in the loop in a browser, or in a notebook.

`python -m galaxy_lvm.ui --run demo --target spiral` starts it on a finished run, `galaxy-lvm label
FOLDER` on images of one's own; `ui.notebook` gives the widget.
"""
