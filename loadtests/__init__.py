"""Load tests: how many users come when, what they do, and what the system under test has to keep."""
