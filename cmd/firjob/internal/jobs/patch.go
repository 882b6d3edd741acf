package jobs

import (
	"reflect"

	"github.com/firjob/firjob/cmd/firjob/internal/console"
)

// readOnly are the members of a job, as the API shows it, that no patch can change.
var readOnly = []string{"id", "app", "version", "next_fire_at", "created_at", "updated_at", "paused_reason", "last"}

// patchOf returns the merge patch that a file means. A file may be the patch itself.
// It may also be a whole job, as "job get -o json" prints it: the patch is then the
// difference from the job as it is now. A member that the file lacks goes back to its
// default. Read-only members are ignored.
func patchOf(file map[string]any, current []byte) (map[string]any, error) {
	if file["id"] == nil || file["version"] == nil {
		return file, nil
	}
	now, err := console.ObjectOf(current)
	if err != nil {
		return nil, console.NotUnderstood(err)
	}
	if !reflect.DeepEqual(file["id"], now["id"]) || !reflect.DeepEqual(file["app"], now["app"]) {
		return nil, console.Usagef("the file is another job: number %v of app %v", file["id"], file["app"])
	}
	if !reflect.DeepEqual(file["version"], now["version"]) {
		return nil, console.Usagef("the file is version %v of the job, which is at version %v now: get it again",
			file["version"], now["version"])
	}
	for _, name := range readOnly {
		delete(file, name)
		delete(now, name)
	}
	return difference(now, file), nil
}

// difference returns the merge patch (RFC 7396) that makes one object another. A
// schedule of another kind is sent as a whole: it starts empty.
func difference(from, to map[string]any) map[string]any {
	patch := map[string]any{}
	for name, value := range to {
		old, had := from[name]
		if had && reflect.DeepEqual(old, value) {
			continue
		}
		inner, isObject := value.(map[string]any)
		before, wasObject := old.(map[string]any)
		if isObject && wasObject && (name != "schedule" || inner["kind"] == before["kind"]) {
			patch[name] = difference(before, inner)
		} else {
			patch[name] = value
		}
	}
	for name := range from {
		if _, kept := to[name]; !kept {
			patch[name] = nil
		}
	}
	return patch
}
