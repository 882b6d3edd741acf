package httpapi

import (
	"context"
	"fmt"

	"github.com/firjob/firjob"
	"github.com/firjob/firjob/internal/ports"
)

// maxTree bounds how many executions a tree shows.
const maxTree = 1000

// treeBody is a tree as the API shows it.
type treeBody struct {
	Root firjob.ExecutionID `json:"root" format:"uuid" doc:"The root of the whole tree, which may be above"`
	Cut  bool               `json:"cut" doc:"The run has more executions than are shown"`
	branchBody
}

// branchBody is an execution and what it led to.
type branchBody struct {
	Execution executionBody `json:"execution"`
	Children  []branchBody  `json:"children" nullable:"false" doc:"What its end triggered, and its retries"`
	NotRun    []notRunBody  `json:"not_run" nullable:"false" doc:"Children of its job that its end did not trigger, or has not yet"`
}

type notRunBody struct {
	JobID  firjob.JobID `json:"job_id"`
	Job    string       `json:"job"`
	Reason string       `json:"reason" example:"runs on success; the parent failed"`
}

func (s *server) getTree(ctx context.Context, in *executionPath) (*answer[treeBody], error) {
	tree, root, cut, err := s.Store.Tree(ctx, in.ID, maxTree)
	if err != nil {
		return nil, fmt.Errorf("read the tree of execution %v: %w", in.ID, err)
	}
	return &answer[treeBody]{treeBody{Root: root, Cut: cut, branchBody: bodyOfTree(tree)}}, nil
}

func bodyOfTree(t ports.Tree) branchBody {
	b := branchBody{Execution: bodyOfExecution(t.Execution), Children: []branchBody{}, NotRun: []notRunBody{}}
	for _, child := range t.Children {
		b.Children = append(b.Children, bodyOfTree(child))
	}
	for _, n := range t.NotRun {
		b.NotRun = append(b.NotRun, notRunBody(n))
	}
	return b
}
