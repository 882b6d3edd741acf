package storage

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// connectTimeout bounds the making of a connection, unless the URL says how
// long it may take.
const connectTimeout = 5 * time.Second

// The server's own timeouts end what is slow. A host that says nothing at all,
// because its network or its machine is gone, is given up after these, which are
// longer: until then a caller is kept.
const (
	hotPatience = 8 * time.Second
	apiPatience = 20 * time.Second
)

// idleConn is how long an unused connection is kept. Each holds on to the
// parameters of its largest statement: 16 MB after a batch of 10,000 jobs.
const idleConn = time.Minute

// pool is a pool of connections that keeps no caller for longer than its
// patience: every statement outside of a transaction, and every transaction,
// ends by then.
type pool struct {
	conns    *pgxpool.Pool
	patience time.Duration
}

func openPool(ctx context.Context, url string, least, conns int, settings map[string]string,
	patience time.Duration) (*pool, error) {
	if err := misread(url); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, urlFault(url)
	}
	config.MaxConns = int32(min(conns, 1<<15))
	config.MinConns = int32(least)
	config.MaxConnIdleTime = idleConn
	config.AfterConnect = readTimesInUTC
	boundConnecting(config.ConnConfig)
	for name, value := range settings {
		config.ConnConfig.RuntimeParams[name] = value
	}
	made, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, classify("open the pool", err)
	}
	return &pool{conns: made, patience: patience}, nil
}

func boundConnecting(config *pgx.ConnConfig) {
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
}

func readTimesInUTC(_ context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID,
		Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	return nil
}

// Close waits for what is under way and closes every connection.
func (p *pool) Close() { p.conns.Close() }

// inTx runs fn in a transaction, with a context that ends when patience does.
func (p *pool) inTx(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	return pgx.BeginFunc(ctx, p.conns, func(tx pgx.Tx) error { return fn(ctx, tx) })
}

// Query asks for rows. They must be read to their end, or closed.
func (p *pool) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	rows, err := p.conns.Query(ctx, sql, args...)
	return boundRows{rows, cancel}, err
}

// QueryRow asks for a row, which must be scanned.
func (p *pool) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	return boundRow{p.conns.QueryRow(ctx, sql, args...), cancel}
}

// Exec runs a statement.
func (p *pool) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	return p.conns.Exec(ctx, sql, args...)
}

// ExecBatch runs the statements of a batch.
func (p *pool) ExecBatch(ctx context.Context, batch *pgx.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	return p.conns.SendBatch(ctx, batch).Close()
}

// boundRows ends its deadline with the reading.
type boundRows struct {
	pgx.Rows
	cancel context.CancelFunc
}

func (r boundRows) Close() {
	r.Rows.Close()
	r.cancel()
}

type boundRow struct {
	row    pgx.Row
	cancel context.CancelFunc
}

func (r boundRow) Scan(into ...any) error {
	defer r.cancel()
	return r.row.Scan(into...)
}
