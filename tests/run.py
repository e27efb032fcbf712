"""make test: the whole suite on SQLite, and on PostgreSQL where one answers.

TEST_DATABASE_URL names a PostgreSQL server (any database of it that may be connected to);
without it the local default is tried. REQUIRE_POSTGRESQL=1 fails when none answers.
TEST_WORKERS is how many tests run beside each other. Further arguments go to pytest.
"""

import os
import shutil
import subprocess
import sys

import psycopg

LOCAL = ["postgresql:///postgres", "postgresql://postgres@127.0.0.1/postgres"]


def find_postgresql() -> str:
    """The first server that answers and lets us create databases; empty when none does."""
    named = os.environ.get("TEST_DATABASE_URL", "")
    for url in [named] if named else LOCAL:
        try:
            with psycopg.connect(url, connect_timeout=3) as connection:
                row = connection.execute(
                    "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
                ).fetchone()
        except psycopg.Error as error:
            if named:
                sys.exit(f"TEST_DATABASE_URL can't be used: {error}")
            continue
        if row and row[0]:
            return with_database(url, "switchboard")
        if named:
            sys.exit("TEST_DATABASE_URL can't be used: its user may not create databases.")
    return ""


def with_database(url: str, name: str) -> str:
    """The same server, another database; pytest creates test_<name> there."""
    with psycopg.connect(url, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if known.fetchone() is None:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
    base, _, query = url.partition("?")
    return base.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")


def run(title: str, url: str, *options: str) -> int:
    print(f"\n== Tests on {title} ==", flush=True)
    environment = {**os.environ, "TEST_DATABASE_URL": url}
    cores = os.cpu_count() or 1
    # Many tests wait, for processes, databases and browsers: some more than there are cores.
    workers = os.environ.get("TEST_WORKERS", str(cores + min(cores, 4)))
    command = [sys.executable, "-m", "pytest", "-n", workers, "--dist", "worksteal", *options]
    command += sys.argv[1:]
    return subprocess.run(command, env=environment, check=False).returncode


def main() -> None:
    server = find_postgresql()
    if not server and os.environ.get("REQUIRE_POSTGRESQL"):
        sys.exit("PostgreSQL is required here and none answered.")
    status = run("SQLite", "")
    if server:
        # What drives a browser or needs no database has been shown already.
        status = run("PostgreSQL", server, "-m", "not e2e and not once") or status
    used = "SQLite and PostgreSQL" if server else "SQLite only: no PostgreSQL answered"
    browser = "with" if shutil.which("chromium") else "without"
    print(f"\nTested on {used}; {browser} Chromium.", flush=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
