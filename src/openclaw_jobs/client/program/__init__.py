"""The worker program: what `openclaw-jobs worker` does between connecting and stopping.

`runner` claims tasks and takes care of their leases, an *engine* (`command` or `openai`) does the
work, `link` knows how the server is, `log` says what happens, `state` keeps the token.
"""
