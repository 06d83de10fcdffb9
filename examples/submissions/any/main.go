// An any-time learner in Go, as an image of its own: it reads $ALCOVE_DATA and writes predictions to $ALCOVE_OUT.
//
// It learns from 200 examples first and then from four times as many in each round, on any kind of dataset.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
)

const first = 200 // Training examples of the first round.

func main() {
	log.SetFlags(0)
	if err := run(os.Getenv("ALCOVE_DATA"), os.Getenv("ALCOVE_OUT")); err != nil {
		log.Fatal(err)
	}
}

func run(data, out string) error {
	metadata, err := readMetadata(filepath.Join(data, "train"))
	if err != nil {
		return err
	}
	test, err := readTest(filepath.Join(data, "test"), metadata)
	if err != nil {
		return err
	}
	train, err := openPart(filepath.Join(data, "train"))
	if err != nil {
		return err
	}
	model := newModel(metadata.labels)
	count, predictions := 0, 0
	for goal, isOver := first, false; !isOver; goal *= 4 {
		for ; count < goal && !isOver; count++ {
			record, err := train.next()
			if err == io.EOF {
				isOver = true
				break
			} else if err != nil {
				return err
			}
			example, err := decode(record, metadata)
			if err != nil {
				return err
			}
			model.learn(vectorize(example, metadata), example.labels)
		}
		if err := save(model.predict(test), out, predictions); err != nil {
			return err
		}
		log.Printf("prediction %d, from %d examples", predictions, count)
		predictions++
	}
	return nil
}

func readTest(folder string, metadata metadata) ([][]float64, error) {
	part, err := openPart(folder)
	if err != nil {
		return nil, err
	}
	var vectors [][]float64
	for {
		record, err := part.next()
		if err == io.EOF {
			return vectors, nil
		} else if err != nil {
			return nil, err
		}
		example, err := decode(record, metadata)
		if err != nil {
			return nil, err
		}
		vectors = append(vectors, vectorize(example, metadata))
	}
}

// save writes a line of numbers for each test example, under a hidden name first: a file counts once it is renamed.
func save(prediction [][]float64, out string, number int) error {
	name := fmt.Sprintf("prediction_%06d.predict", number)
	hidden := filepath.Join(out, "."+name)
	file, err := os.Create(hidden)
	if err != nil {
		return err
	}
	writer := bufio.NewWriter(file)
	for _, row := range prediction {
		for i, value := range row {
			if i > 0 {
				writer.WriteByte(' ')
			}
			fmt.Fprintf(writer, "%.6f", value)
		}
		writer.WriteByte('\n')
	}
	if err := writer.Flush(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(hidden, filepath.Join(out, name))
}
