module learner

go 1.24
