package index
import ("testing";"fmt";"os";"errors";"github.com/ncruces/go-sqlite3")
func TestDbg(t *testing.T){
 f:=newFixture(t)
 f.propose("a",nil)
 c,_:=f.db.take()
 x,err:=c.FileControl("main", sqlite3.FCNTL_FILE_POINTER)
 fmt.Printf("%T %v\n",x,err)
 f.db.give(c)
 p:=f.db.Path()
 os.Rename(p,p+".m")
 _,err=Open(p)
 var se *sqlite3.Error
 if errors.As(err,&se){ fmt.Println(se.ExtendedCode(), uint16(se.ExtendedCode()), se) }
 f.db.Close(); f.db.shut=true
 d,err:=Open(p)
 fmt.Println(d,err)
 f.db=d
}
