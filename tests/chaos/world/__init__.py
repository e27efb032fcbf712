"""A world that is disturbed, and a plain model that judges what became of it.

`World` runs an installation of connectors (calls, delays, order, retries, counters, messages) on a
private PostgreSQL cluster, behind a proxy that cuts connections and swallows acknowledgements. It
posts events, lets operators cancel, run again and merge, and breaks things all the while. What
really happened outside is kept in logs: posts, requests that arrived, moves, faults. `judge`
compares the logs with the tables, in rules that know nothing of how the product works.

    cluster.py, proxy.py, outside.py    what the product stands on and speaks to
    connectors.py, moves.py, worker.py  run inside the installation
    faults.py, posting.py, world.py     disturb it, feed it, keep it running
    facts.py, record.py                 what is judged
    model.py, rules/                    the judge

    python -m tests.chaos.world.judge DIRECTORY    judge a kept world once more
"""
