"""The tables of ``project.db``, one tuple of statements per version."""

APPLICATION_ID = 0x4E444D54
"""Marks the SQLite file as one of ours (``NDMT``)."""

_VERSION_1 = (
    "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    """CREATE TABLE samples (
        id INTEGER PRIMARY KEY,
        content_hash TEXT NOT NULL UNIQUE,
        path TEXT NOT NULL,
        relative TEXT,
        height INTEGER NOT NULL,
        width INTEGER NOT NULL,
        added TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE journal (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        sample INTEGER NOT NULL REFERENCES samples (id),
        y INTEGER NOT NULL,
        x INTEGER NOT NULL,
        height INTEGER NOT NULL,
        width INTEGER NOT NULL,
        before BLOB NOT NULL,
        after BLOB NOT NULL,
        tool TEXT NOT NULL,
        target INTEGER REFERENCES journal (id),
        reviewed INTEGER NOT NULL,
        model TEXT,
        created TEXT NOT NULL,
        previous TEXT NOT NULL,
        hash TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX journal_of_sample ON journal (sample, id)",
    # Corrections are evidence: what was once written is undone by a further row, never by a change.
    "CREATE TRIGGER journal_keeps_rows BEFORE DELETE ON journal"
    " BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END",
    "CREATE TRIGGER journal_keeps_values BEFORE UPDATE ON journal"
    " BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END",
    """CREATE TABLE models (
        id TEXT PRIMARY KEY,
        identity TEXT NOT NULL,
        file_hash TEXT NOT NULL,
        card TEXT NOT NULL,
        before TEXT,
        after TEXT,
        created TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE activations (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        model TEXT NOT NULL REFERENCES models (id),
        created TEXT NOT NULL
    ) STRICT""",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_VERSION_1,)
"""Entry *n* brings a database of version *n* to *n + 1*; an entry that was released is never edited."""
