"""The labelling page: a session of the human in the loop in a browser.

`python -m galaxy_lvm.ui --run demo --target spiral` starts it on a finished run.
"""
