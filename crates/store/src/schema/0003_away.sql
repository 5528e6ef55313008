ALTER TABLE workers ADD COLUMN away {text} NOT NULL DEFAULT '[]';
