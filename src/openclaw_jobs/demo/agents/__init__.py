"""The demo's agents: programs that read a task on standard input and write its result.

They need Python's standard library only, and run alone as well:
`echo "One. Two." | python -m openclaw_jobs.demo.agents.text_stats`.
"""
