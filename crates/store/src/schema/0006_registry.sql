ALTER TABLE targets ADD COLUMN labels {text} NOT NULL DEFAULT '';
ALTER TABLE workers ADD COLUMN serves {text} NOT NULL DEFAULT '';
CREATE TABLE written_hosts (
    fleet {text} NOT NULL,
    host {text} NOT NULL,
    number bigint NOT NULL,
    body {text} NOT NULL,
    PRIMARY KEY (fleet, host)
);
