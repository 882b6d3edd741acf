package main

// storeFlags say where the stores are.
type storeFlags struct {
	databaseFlag
	RedisURL string `name:"redis-url" env:"FIRJOB_REDIS_URL" placeholder:"URL" help:"Redis or Valkey: redis://, rediss://, redis+sentinel:// or redis+cluster://."`
}

// logFlags say how to log.
type logFlags struct {
	LogLevel  string `name:"log-level" env:"FIRJOB_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"debug, info, warn or error. Default: ${default}."`
	LogFormat string `name:"log-format" env:"FIRJOB_LOG_FORMAT" default:"auto" enum:"auto,text,json" help:"auto (text on a terminal), text or json. Default: ${default}."`
}

// databaseFlag says where Postgres is.
type databaseFlag struct {
	DatabaseURL string `name:"database-url" env:"FIRJOB_DATABASE_URL" placeholder:"URL" help:"Postgres, as in postgres://user@host/firjob."`
}
