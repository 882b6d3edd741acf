package app_test

import (
	"os"
	"testing"

	"github.com/firjob/firjob/internal/localstack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }
