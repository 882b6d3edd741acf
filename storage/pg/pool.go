package pg

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

// Pool is a pool of connections that keeps no caller for longer than its
// patience: every statement outside of a transaction, and every transaction,
// ends by then.
type Pool struct {
	Conns    *pgxpool.Pool
	patience time.Duration
}

func openPool(ctx context.Context, url string, least, conns int, settings map[string]string,
	patience time.Duration) (*Pool, error) {
	if err := Misread(url); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, URLFault(url)
	}
	config.MaxConns = int32(min(conns, 1<<15))
	config.MinConns = int32(least)
	config.MaxConnIdleTime = idleConn
	config.AfterConnect = readTimesInUTC
	BoundConnecting(config.ConnConfig)
	for name, value := range settings {
		config.ConnConfig.RuntimeParams[name] = value
	}
	made, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, Classify("open the pool", err)
	}
	return &Pool{Conns: made, patience: patience}, nil
}

func BoundConnecting(config *pgx.ConnConfig) {
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
func (p *Pool) Close() { p.Conns.Close() }

// InTx runs fn in a transaction, with a context that ends when patience does.
func (p *Pool) InTx(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	return pgx.BeginFunc(ctx, p.Conns, func(tx pgx.Tx) error { return fn(ctx, tx) })
}

// Query asks for rows. They must be read to their end, or closed.
func (p *Pool) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	rows, err := p.Conns.Query(ctx, sql, args...)
	return boundRows{rows, cancel}, err
}

// QueryRow asks for a row, which must be scanned.
func (p *Pool) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	return boundRow{p.Conns.QueryRow(ctx, sql, args...), cancel}
}

// Exec runs a statement.
func (p *Pool) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	return p.Conns.Exec(ctx, sql, args...)
}

// ExecBatch runs the statements of a batch.
func (p *Pool) ExecBatch(ctx context.Context, batch *pgx.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	return p.Conns.SendBatch(ctx, batch).Close()
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

type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}
