package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	_ "image/gif"
	_ "image/jpeg"
	_ "image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
)

// metadata is what metadata.textproto says of all examples. A size is −1 where it varies.
type metadata struct {
	labels, steps, rows, columns, channels int
	format, domain                         string
}

// example has its numbers in the order time, row, column, channel; a text has its tokens.
type example struct {
	steps, rows, columns, channels int
	numbers                        []float64
	labels                         []int
}

// isText tells AutoDL's texts: each step is one of `channels` tokens.
func (m metadata) isText() bool {
	return m.format == "SPARSE" && m.rows == 1 && m.columns == 1 && m.channels > 1
}

func readMetadata(folder string) (metadata, error) {
	content, err := os.ReadFile(filepath.Join(folder, "metadata.textproto"))
	if err != nil {
		return metadata{}, err
	}
	word := func(key, otherwise string) string {
		found := regexp.MustCompile(`(?m)^[ #]*` + key + `: *(\S+)`).FindSubmatch(content)
		if found == nil {
			return otherwise
		}
		return string(found[1])
	}
	number := func(key, otherwise string) int {
		value, _ := strconv.Atoi(word(key, otherwise))
		return value
	}
	return metadata{
		labels: number("output_dim", "0"), steps: number("sequence_size", "1"),
		rows: number("row_count", "-1"), columns: number("col_count", "-1"), channels: number("num_channels", "-1"),
		format: word("format", "DENSE"), domain: word("domain", ""),
	}, nil
}

// part reads the records of the TFRecord files of a folder, in the order of their names.
type part struct {
	files  []string
	reader *bufio.Reader
	file   *os.File
}

func openPart(folder string) (*part, error) {
	files, err := filepath.Glob(filepath.Join(folder, "sample*"))
	sort.Strings(files)
	return &part{files: files}, err
}

func (p *part) next() ([]byte, error) {
	for {
		if p.reader == nil {
			if len(p.files) == 0 {
				return nil, io.EOF
			}
			file, err := os.Open(p.files[0])
			if err != nil {
				return nil, err
			}
			p.files, p.file, p.reader = p.files[1:], file, bufio.NewReader(file)
		}
		head := make([]byte, 12) // Length and its check sum.
		if _, err := io.ReadFull(p.reader, head); err == io.EOF {
			p.file.Close()
			p.reader = nil
			continue
		} else if err != nil {
			return nil, err
		}
		length := binary.LittleEndian.Uint64(head)
		record := make([]byte, length+4) // The record and its check sum.
		if _, err := io.ReadFull(p.reader, record); err != nil {
			return nil, err
		}
		return record[:length], nil
	}
}

// walk calls visit for each field of a protobuf message: its number, and its bytes or its value.
func walk(message []byte, visit func(field int, content []byte, value uint64)) error {
	for len(message) > 0 {
		key, size := binary.Uvarint(message)
		if size <= 0 {
			return fmt.Errorf("a record is damaged")
		}
		message = message[size:]
		var content []byte
		var value uint64
		switch key & 7 {
		case 0:
			value, size = binary.Uvarint(message)
		case 1:
			size = 8
		case 2:
			length, head := binary.Uvarint(message)
			if head <= 0 || length > uint64(len(message)-head) {
				return fmt.Errorf("a record is damaged")
			}
			content, size = message[head:head+int(length)], head+int(length)
		case 5:
			size = 4
		default:
			size = 0
		}
		if size <= 0 || size > len(message) {
			return fmt.Errorf("a record is damaged")
		}
		if key&7 == 5 {
			content = message[:4]
		}
		visit(int(key>>3), content, value)
		message = message[size:]
	}
	return nil
}

// feature is one step of a feature list: floats, integers, or encoded pictures.
type feature struct {
	floats   []float64
	integers []int
	pictures [][]byte
}

func parseFeature(message []byte) feature {
	var found feature
	walk(message, func(kind int, list []byte, _ uint64) {
		walk(list, func(_ int, content []byte, value uint64) {
			switch {
			case kind == 1:
				found.pictures = append(found.pictures, content)
			case kind == 2:
				for ; len(content) >= 4; content = content[4:] {
					bits := binary.LittleEndian.Uint32(content)
					found.floats = append(found.floats, float64(math.Float32frombits(bits)))
				}
			case content == nil:
				found.integers = append(found.integers, int(value))
			default:
				for len(content) > 0 {
					value, size := binary.Uvarint(content)
					if size <= 0 {
						return
					}
					found.integers, content = append(found.integers, int(value)), content[size:]
				}
			}
		})
	})
	return found
}

// entries calls visit for each key and value of a map in protobuf.
func entries(message []byte, visit func(key string, value []byte)) error {
	return walk(message, func(_ int, entry []byte, _ uint64) {
		var key string
		var value []byte
		walk(entry, func(field int, content []byte, _ uint64) {
			if field == 1 {
				key = string(content)
			} else {
				value = content
			}
		})
		visit(key, value)
	})
}

// decode reads a SequenceExample: labels in its context, and a list of steps for each key.
func decode(record []byte, metadata metadata) (example, error) {
	lists, context := map[string][]feature{}, map[string]feature{}
	err := walk(record, func(field int, content []byte, _ uint64) {
		entries(content, func(key string, value []byte) {
			if field == 1 {
				context[key] = parseFeature(value)
				return
			}
			walk(value, func(_ int, step []byte, _ uint64) {
				lists[key] = append(lists[key], parseFeature(step))
			})
		})
	})
	if err != nil {
		return example{}, err
	}
	found := example{rows: metadata.rows, columns: metadata.columns, channels: metadata.channels}
	for i, label := range context["label_index"].integers {
		if scores := context["label_score"].floats; i >= len(scores) || scores[i] >= 0.5 {
			found.labels = append(found.labels, label)
		}
	}
	switch metadata.format {
	case "COMPRESSED":
		return decodePictures(found, lists["0_compressed"])
	case "SPARSE":
		return decodeSparse(found, lists, metadata), nil
	}
	for _, step := range lists["0_dense_input"] {
		found.numbers = append(found.numbers, step.floats...)
		found.steps++
	}
	return found, nil
}

func decodePictures(found example, steps []feature) (example, error) {
	for _, step := range steps {
		for _, encoded := range step.pictures {
			picture, _, err := image.Decode(bytes.NewReader(encoded))
			if err != nil {
				return found, err
			}
			frame := picture.Bounds()
			found.rows, found.columns, found.channels = frame.Dy(), frame.Dx(), 3
			for y := frame.Min.Y; y < frame.Max.Y; y++ {
				for x := frame.Min.X; x < frame.Max.X; x++ {
					red, green, blue, _ := picture.At(x, y).RGBA()
					found.numbers = append(found.numbers, float64(red>>8), float64(green>>8), float64(blue>>8))
				}
			}
			found.steps++
		}
	}
	return found, nil
}

func decodeSparse(found example, lists map[string][]feature, metadata metadata) example {
	if metadata.isText() {
		found.channels = 1
		for _, step := range lists["0_sparse_channel_index"] {
			for _, token := range step.integers {
				found.numbers = append(found.numbers, float64(token))
				found.steps++
			}
		}
		return found
	}
	index := func(axis string, step, i int) int {
		steps := lists["0_sparse_"+axis+"_index"]
		if step < len(steps) && i < len(steps[step].integers) {
			return steps[step].integers[i]
		}
		return 0
	}
	size := metadata.rows * metadata.columns * metadata.channels
	for step, values := range lists["0_sparse_value"] {
		frame := make([]float64, size)
		for i, value := range values.floats {
			place := (index("row", step, i)*metadata.columns+index("col", step, i))*metadata.channels + index("channel", step, i)
			if place >= 0 && place < size {
				frame[place] = value
			}
		}
		found.numbers = append(found.numbers, frame...)
		found.steps++
	}
	return found
}
