-- Version 2: why a job is parked, in a sentence. In a table of its own: hardly any job has one.

CREATE TABLE note (
    seq INTEGER PRIMARY KEY,
    text TEXT NOT NULL
);
