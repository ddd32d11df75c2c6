-- Version 7: of which release a process was in which an attempt failed: its row has gone when that is asked.

ALTER TABLE $schema.attempt ADD COLUMN release text NOT NULL DEFAULT '';
