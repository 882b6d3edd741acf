-- +goose NO TRANSACTION
-- +goose Up

-- Lists of what an app has executed begin with its jobs. Those that live are in
-- jobs_name; these are the others. To plan a job does not touch it. What a build
-- that was interrupted has left serves nobody.
DROP INDEX CONCURRENTLY IF EXISTS jobs_deleted;
CREATE INDEX CONCURRENTLY jobs_deleted ON jobs (app, id) WHERE deleted_at IS NOT NULL;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS jobs_deleted;
