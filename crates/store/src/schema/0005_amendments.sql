CREATE TABLE amendments (
    number {identity},
    fleet {text} NOT NULL,
    version {text} NOT NULL,
    checksum_was {text} NOT NULL,
    checksum_is {text} NOT NULL,
    rollout {text} NOT NULL,
    at bigint NOT NULL,
    actor {text} NOT NULL,
    reason {text} NOT NULL
);
CREATE INDEX amendments_by_fleet ON amendments (fleet, number);
