"""The stress test: a declared suite of hard cases, run on Ray like a sweep; breaking points are read off its files.

`suite` declares the cases, `plan` decides what runs when, and `stress` here runs it.
"""

from __future__ import annotations
