"""Compiled versions of functions of other rooms; they define nothing."""
