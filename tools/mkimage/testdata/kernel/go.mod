module keel

go 1.26
