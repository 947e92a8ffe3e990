package index

import "strings"

// The statements over all columns of jobs, made from the list in row.go.
var (
	rowColumns  = columnsOf(func(v visitor) { new(Row).visit(v) })
	allColumns  = strings.Join(rowColumns, ", ")
	insertRow   = "INSERT INTO jobs (" + allColumns + ") VALUES (?" + strings.Repeat(", ?", len(rowColumns)-1) + ")"
	moving      = columnsOf(func(v visitor) { new(Row).visitMoving(v) })
	updateRow   = "UPDATE jobs SET " + strings.Join(moving, " = ?, ") + " = ? WHERE seq = ?"
	selectRows  = "SELECT " + allColumns + " FROM jobs "
	selectByID  = selectRows + "WHERE id = ?"
	selectBySeq = selectRows + "WHERE seq = ?"
)

func columnsOf(visit func(visitor)) []string {
	n := &namer{}
	visit(n)
	return n.names
}
