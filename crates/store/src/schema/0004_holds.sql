CREATE TABLE holds (
    fleet {text} NOT NULL,
    tenant {text} NOT NULL,
    actor {text} NOT NULL,
    reason {text} NOT NULL,
    at bigint NOT NULL,
    until bigint,
    PRIMARY KEY (fleet, tenant)
);
