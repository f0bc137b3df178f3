"""Durable jobs: a queue that other processes read, and the runner that performs jobs step by step."""

from galenic.store.jobs.queue import Advance, Job, JobQueue, JobRunner, State, open_runner

__all__ = ["Advance", "Job", "JobQueue", "JobRunner", "State", "open_runner"]
