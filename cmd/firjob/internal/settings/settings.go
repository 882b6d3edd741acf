// Package settings holds the flags that processes and doctor share: where the stores
// are, and how to log.
package settings

// Stores say where the stores are.
type Stores struct {
	Database
	RedisURL string `name:"redis-url" env:"FIRJOB_REDIS_URL" placeholder:"URL" help:"Redis or Valkey: redis://, rediss://, redis+sentinel:// or redis+cluster://."`
}

// Logs say how to log.
type Logs struct {
	LogLevel  string `name:"log-level" env:"FIRJOB_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"debug, info, warn or error. Default: ${default}."`
	LogFormat string `name:"log-format" env:"FIRJOB_LOG_FORMAT" default:"auto" enum:"auto,text,json" help:"auto (text on a terminal), text or json. Default: ${default}."`
}

// Database says where Postgres is.
type Database struct {
	DatabaseURL string `name:"database-url" env:"FIRJOB_DATABASE_URL" placeholder:"URL" help:"Postgres, as in postgres://user@host/firjob."`
}
