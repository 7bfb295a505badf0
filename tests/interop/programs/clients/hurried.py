"""Runs a program whose ``time.sleep`` takes a fifth of what it asks for: ``hurried.py PROGRAM``."""

import runpy
import sys
import time

HURRY = 5

sleep = time.sleep
time.sleep = lambda seconds: sleep(float(seconds) / HURRY)
runpy.run_path(sys.argv[1], run_name="__main__")
