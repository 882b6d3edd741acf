package storage_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// planNode is one node of a plan, as EXPLAIN tells it.
type planNode struct {
	Type      string     `json:"Node Type"`
	Operation string     `json:"Operation"`
	Relation  string     `json:"Relation Name"`
	Alias     string     `json:"Alias"`
	Subplan   string     `json:"Subplan Name"`
	IndexCond string     `json:"Index Cond"`
	HashCond  string     `json:"Hash Cond"`
	Filter    string     `json:"Filter"`
	Plans     []planNode `json:"Plans"`
}

// unpruned opens a session whose plans show every partition, whatever the
// parameters are.
func (s *store) unpruned(t *testing.T) *pgx.Conn {
	t.Helper()
	conn := s.session()
	if _, err := conn.Exec(t.Context(), `SET enable_partition_pruning = off`); err != nil {
		t.Fatal(err)
	}
	return conn
}

func (s *store) planOf(t *testing.T, conn *pgx.Conn, name, sql string) planNode {
	t.Helper()
	var plans []struct{ Plan planNode }
	text := s.explain(t, conn, name, sql, "COSTS off, VERBOSE, FORMAT JSON")
	if err := json.Unmarshal([]byte(text), &plans); err != nil || len(plans) != 1 {
		t.Fatalf("the plan of %s: %v\n%s", name, err, text)
	}
	shown := strings.Contains(text, `"Relation Name"`)
	if names := relation.MatchString(sql); names != shown {
		t.Fatalf("%s names tables: %v; its plan shows any: %v\n%s", name, names, shown, text)
	}
	return plans[0].Plan
}

// relation finds that a statement names a table of the key.
var relation = regexp.MustCompile(`\b(?:FROM|JOIN|INTO|UPDATE) (?:executions|jobs?_?\w*|apps?_?\w*|broadcasts|backfills|child_joins|dead_letters|executors)\b`)

// faults says where a plan leaves the key: a table of which it does not know
// which rows' places, or two tables whose rows need not lie together.
func (k shardKey) faults(plan planNode) []string {
	a := &places{key: k, parent: map[string]string{}, given: map[string]bool{}, tables: map[string]string{}, batches: map[string]bool{}}
	plan.walk(a.note)
	plan.walk(a.equate)
	var faults []string
	together := map[string]string{} // aliases by what their places follow from
	for _, alias := range slices.Sorted(maps.Keys(a.tables)) {
		table := a.tables[alias]
		if slices.Contains(k.copied, table) {
			continue
		}
		columns := k.columns[table]
		if len(columns) == 0 || !a.isGiven(alias+"."+columns[0]) {
			faults = append(faults, fmt.Sprintf("%s AS %s is not named by %v", table, alias, columns))
			continue
		}
		place := k.group[table] + " " + a.find(alias+"."+columns[0])
		if together[place] != "" {
			together[place] += ", "
		}
		together[place] += alias
	}
	if len(together) > 1 {
		apart := slices.Sorted(maps.Values(together))
		faults = append(faults, "joins rows that need not lie together: "+strings.Join(apart, " | "))
	}
	return faults
}

// places are classes of columns and parameters that are equal.
type places struct {
	key    shardKey
	parent map[string]string
	given  map[string]bool   // members whose value came with the statement
	tables map[string]string // by alias
	// batches are the aliases of arrays that came with the statement, and within
	// the results of subqueries, which EXPLAIN writes as it does parameters.
	batches map[string]bool
	within  []string
}

func (a *places) find(member string) string {
	for a.parent[member] != "" {
		member = a.parent[member]
	}
	return member
}

func (a *places) unite(x, y string) {
	if x, y = a.find(x), a.find(y); x != y {
		a.parent[x] = y
	}
}

func (a *places) isGiven(member string) bool {
	for g := range a.given {
		if a.find(g) == a.find(member) {
			return true
		}
	}
	return false
}

var (
	childAlias   = regexp.MustCompile(`_\d+$`)
	subquery     = regexp.MustCompile(`returns (\$\d+(?:,\$\d+)*)`)
	conjunct     = regexp.MustCompile(`^\(?([a-z_]+\w*\.\w+) = (?:ANY \()?\(?(\$\d+|[a-z_]+\w*\.\w+)\)*(?:::[\w\[\] ]+\)*)?$`)
	dayPartition = regexp.MustCompile(`_\d{8}$`)
)

// note collects the tables, and the columns of batches.
func (a *places) note(n planNode) {
	if m := subquery.FindStringSubmatch(n.Subplan); m != nil {
		a.within = append(a.within, strings.Split(m[1], ",")...)
	}
	if n.Type == "Function Scan" {
		a.batches[n.Alias] = true
	}
	if n.Relation == "" {
		return
	}
	table, alias := n.Relation, n.Alias
	if dayPartition.MatchString(table) {
		table, alias = dayPartition.ReplaceAllString(table, ""), childAlias.ReplaceAllString(alias, "")
	}
	a.tables[alias] = table
	for _, column := range a.key.columns[table] {
		a.unite(alias+"."+column, alias+"."+a.key.columns[table][0])
	}
	if n.Operation == "Insert" && !n.readsTables() {
		a.given[alias+"."+firstOf(a.key.columns[table])] = true
	}
}

func firstOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// readsTables reports whether anything below n, but for subqueries of its
// expressions, reads a table.
func (n planNode) readsTables() bool {
	return slices.ContainsFunc(n.Plans, func(p planNode) bool {
		return p.Subplan == "" && (p.Relation != "" || p.readsTables())
	})
}

// equate unites what the conditions of a node, joined by AND, say to be equal.
func (a *places) equate(n planNode) {
	for _, condition := range []string{n.IndexCond, n.HashCond, n.Filter} {
		for _, c := range conjuncts(condition) {
			m := conjunct.FindStringSubmatch(c)
			if m == nil {
				continue
			}
			x, y := a.member(m[1]), a.member(m[2])
			a.unite(x, y)
		}
	}
}

// member names a column by its table's alias in the statement, and notes what
// was given.
func (a *places) member(text string) string {
	alias, column, isColumn := strings.Cut(text, ".")
	if !isColumn {
		if !slices.Contains(a.within, text) {
			a.given[text] = true
		}
		return text
	}
	if base := childAlias.ReplaceAllString(alias, ""); a.tables[alias] == "" && a.tables[base] != "" {
		alias = base
	}
	if a.batches[alias] {
		a.given[alias+"."+column] = true
	}
	return alias + "." + column
}

// conjuncts splits a condition at its outermost ANDs.
func conjuncts(condition string) (list []string) {
	text := condition
	if strings.HasPrefix(text, "(") && closes(text) == len(text)-1 {
		text = text[1 : len(text)-1]
	}
	depth, from := 0, 0
	for i := range text {
		switch {
		case text[i] == '(':
			depth++
		case text[i] == ')':
			depth--
		case depth == 0 && strings.HasPrefix(text[i:], " AND "):
			list = append(list, text[from:i])
			from = i + len(" AND ")
		}
	}
	return append(list, text[from:])
}

// closes returns where the parenthesis that begins text ends.
func closes(text string) int {
	depth := 0
	for i := range text {
		switch text[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func (n planNode) walk(visit func(planNode)) {
	visit(n)
	for _, p := range n.Plans {
		p.walk(visit)
	}
}
