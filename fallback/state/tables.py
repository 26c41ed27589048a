"""The tables, as the scripts that make them: number n brings `user_version` from n to n + 1.

A script that was released is never edited; the next change is a script more. Exclusions: nothing
here runs them (`db`) or reads a row. `ipfs_cids` keeps the original's columns (DESIGN,
"Compatible"), but not its UNIQUE cid: one CID may serve several models.
"""

from __future__ import annotations

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # AUTOINCREMENT: an id says which came later also when the clock went back and rows were pruned
        """CREATE TABLE attempts (
            id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp REAL NOT NULL, model TEXT, modelType TEXT,
            file TEXT, layer TEXT, gateway TEXT, status TEXT, latency_ms REAL, bytes_downloaded INTEGER,
            bytes_total INTEGER, error_type TEXT, error_message TEXT)""",
        "CREATE INDEX attempts_timestamp ON attempts (timestamp)",
        # inode is TEXT: it is unsigned 64 bits, an SQLite integer is signed
        """CREATE TABLE verified (
            path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode TEXT,
            sha256 TEXT, verified_at REAL, layer TEXT, source TEXT)""",
        """CREATE TABLE ipfs_cids (
            id INTEGER PRIMARY KEY AUTOINCREMENT, cid TEXT NOT NULL, modelName TEXT NOT NULL,
            modelType TEXT NOT NULL, modelHash TEXT, gatewayUrl TEXT, cached_at REAL,
            last_accessed_at REAL, success_count INTEGER DEFAULT 0, failure_count INTEGER DEFAULT 0)""",
        "CREATE INDEX ipfs_cids_model ON ipfs_cids (modelName, modelType)",
        "CREATE TABLE source_health (source TEXT PRIMARY KEY, record TEXT NOT NULL)",
    ),
    (
        "CREATE TABLE chunks (sha256 TEXT PRIMARY KEY, digests BLOB NOT NULL)",
        """CREATE TABLE ipfs_downloads (
            id INTEGER PRIMARY KEY AUTOINCREMENT, cidId INTEGER REFERENCES ipfs_cids (id),
            downloadPath TEXT NOT NULL, status TEXT NOT NULL CHECK (status IN
            ('pending', 'in_progress', 'resuming', 'paused', 'success', 'failed')),
            downloaded_bytes INTEGER DEFAULT 0, total_bytes INTEGER, error_message TEXT, started_at REAL,
            completed_at REAL, attempts INTEGER DEFAULT 0, lastAttempt REAL, currentSize INTEGER DEFAULT 0,
            hash TEXT)""",
        "CREATE INDEX ipfs_downloads_path ON ipfs_downloads (downloadPath)",
    ),
    (
        """CREATE TABLE versions (
            model TEXT PRIMARY KEY, question TEXT NOT NULL, asked_at REAL NOT NULL, due_at REAL NOT NULL,
            found TEXT, known_at REAL, unknown_since REAL, problem TEXT NOT NULL, pinned TEXT,
            differing TEXT NOT NULL)""",
        "CREATE TABLE etags (url TEXT PRIMARY KEY, etag TEXT NOT NULL, said TEXT NOT NULL, seen_at REAL NOT NULL)",
        "ALTER TABLE ipfs_cids ADD COLUMN superseded_at REAL",
    ),
)
