"""What can go wrong around Postgres itself: the embedded server, the server that was given by URL, the migrations.

RecordsError
├── EmbeddedPostgresError
│   └── EmbeddedPostgresInUse
├── UnsuitableServer
│   ├── UnreachableServer
│   └── UnreadableURL
└── MigrationError
"""


class RecordsError(Exception):
    """Something about the database needs the operator's attention; the message says what and how to mend it."""


class EmbeddedPostgresError(RecordsError):
    """The embedded Postgres could not be created, started or stopped."""


class EmbeddedPostgresInUse(EmbeddedPostgresError):
    """Another process is running the Postgres of this data folder."""


class UnsuitableServer(RecordsError):
    """The database at the given URL cannot be reached or lacks something that the service needs."""


class UnreachableServer(UnsuitableServer):
    """No database answers at the given URL."""


class UnreadableURL(UnsuitableServer):
    """The URL of the database is none."""


class MigrationError(RecordsError):
    """The schema of the database and the migrations of this version do not fit, or a migration failed."""
