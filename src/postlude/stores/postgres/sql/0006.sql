-- Version 6: what brokers have been told is found by its queue.

CREATE INDEX job_published ON $schema.job (queue) WHERE state = 5;
