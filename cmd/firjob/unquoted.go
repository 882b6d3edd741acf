package main

import (
	"fmt"
	"slices"
	"strings"
)

// cronFields is the smallest number of words that the shell makes of a cron
// expression without quotes; files that a star stands for only add to it.
const cronFields = 5

// hintQuotes adds to an error of the command line that the cron expression in it
// lacks quotes, if that is how it looks.
func hintQuotes(err error, args []string) error {
	flag, begin := "--cron ", slices.Index(args, "--cron")+1
	if begin == 0 && len(args) > 1 && args[0] == "schedule" && args[1] == "preview" {
		flag, begin = "", 2
	}
	if begin == 0 {
		return err
	}
	words := args[begin:]
	if end := slices.IndexFunc(words, func(arg string) bool { return strings.HasPrefix(arg, "-") }); end >= 0 {
		words = words[:end]
	}
	if len(words) < cronFields {
		return err
	}
	return fmt.Errorf("%w\nput the cron expression in quotes, as in %s\"0 2 * * *\": "+
		"without them the shell splits it and replaces each * with names of files", err, flag)
}
