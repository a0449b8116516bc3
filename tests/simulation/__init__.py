"""Whole jobs in one thread: the real driver, scheduler and collector on a Ray and a clock that only pretend.

A seed is a history: which job, on which nodes, what fails and when. The same seed gives the same history.
"""
