package gates

import (
	"strconv"

	"github.com/sheratan/sheratan/pipeline/job"
)

// outputs checks the files that a job says it will leave, as the executor will open them: below the folder that the job works
// in. A pattern is checked as if it were a name, so that its fixed parts lie in a root and nothing in it leads up.
func (e *evaluation) outputs(v *verdict) {
	list, _ := e.object["outputs"].([]any)
	cwd, _ := e.params["cwd"].(string)
	for i, entry := range list {
		pointer := "/outputs/" + strconv.Itoa(i)
		path, ok := entry.(string)
		if object, isObject := entry.(map[string]any); isObject {
			path, ok = object["path"].(string)
			pointer += "/path"
		}
		if !ok {
			continue // G1 refuses it
		}
		if err := (job.Declared{Path: path}).Check(); err != nil {
			v.add("NOT_A_PATH", pointer, "%v", err)
			continue
		}
		if cwd != "" {
			path = cwd + "/" + path // and not filepath.Join, which would resolve a ".." in it
		}
		if err := e.rules.roots.Check(path); err != nil {
			code, message := pathFault(v.levels, err)
			v.add(code, pointer, "%s", message)
		}
	}
}
