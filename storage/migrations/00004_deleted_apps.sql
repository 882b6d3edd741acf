-- +goose Up

-- An app that was deleted keeps its row: the records of its jobs name it. Nobody
-- can authenticate as it.
ALTER TABLE apps ADD COLUMN deleted_at timestamptz;

-- +goose Down
ALTER TABLE apps DROP COLUMN deleted_at;
