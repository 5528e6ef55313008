ALTER TABLE rollouts ADD COLUMN direction {text} NOT NULL DEFAULT 'up';
