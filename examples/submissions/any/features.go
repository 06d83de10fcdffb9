package main

import "math"

const (
	tokens = 2000 // Numbers of a text.
	side   = 16   // Rows and columns of a picture, evenly spread.
	frames = 4    // Of a video.
	chosen = 16   // Steps of a series that are taken as they are.
	lags   = 32   // Distances at which a series is compared with itself.
	few    = 64   // Numbers a step of a sequence up to which it is a series.
)

// vectorize makes one vector of an example, of the same length for all of a dataset.
func vectorize(e example, m metadata) []float64 {
	switch {
	case m.isText() || m.domain == "text" && e.rows*e.columns*e.channels == 1:
		return countTokens(e.numbers)
	case m.steps != 1 && m.rows > 0 && m.columns > 0 && m.rows*m.columns*max(m.channels, 1) <= few:
		return summarize(e)
	case m.format == "COMPRESSED" || m.rows < 0 || m.columns < 0 || m.rows > 1 && m.columns > 1 || m.steps != 1:
		return resample(e, m)
	}
	return e.numbers
}

func countTokens(numbers []float64) []float64 {
	counts := make([]float64, tokens)
	for _, token := range numbers {
		if token >= 0 {
			counts[int(token)%tokens]++
		}
	}
	for i, count := range counts {
		counts[i] = math.Log1p(count)
	}
	return counts
}

func resample(e example, m metadata) []float64 {
	steps := frames
	if m.steps == 1 {
		steps = 1
	}
	vector := make([]float64, 0, steps*side*side*e.channels)
	for t := range steps {
		for y := range side {
			for x := range side {
				for c := range e.channels {
					place := ((spread(t, steps, e.steps)*e.rows+spread(y, side, e.rows))*e.columns+spread(x, side, e.columns))*e.channels + c
					if place < len(e.numbers) {
						vector = append(vector, e.numbers[place])
					} else {
						vector = append(vector, 0)
					}
				}
			}
		}
	}
	return vector
}

// spread says which of `size` places is the i-th of `count` that are evenly spread.
func spread(i, count, size int) int {
	if count < 2 || size < 1 {
		return 0
	}
	return i * (size - 1) / (count - 1)
}

// summarize takes of each number of a series some steps, its mean and deviation, and how alike it is to itself later.
func summarize(e example) []float64 {
	width := e.rows * e.columns * e.channels
	var vector []float64
	for j := range width {
		series := make([]float64, e.steps)
		for t := range series {
			series[t] = e.numbers[t*width+j]
		}
		mean, power := moments(series)
		vector = append(vector, mean, math.Sqrt(power))
		for i := range chosen {
			if len(series) > 0 {
				vector = append(vector, series[spread(i, chosen, len(series))])
			} else {
				vector = append(vector, 0)
			}
		}
		for lag := 1; lag <= lags; lag++ {
			sum := 0.0
			for t := 0; t+lag < len(series); t++ {
				sum += (series[t] - mean) * (series[t+lag] - mean)
			}
			vector = append(vector, sum/(power*float64(len(series))+1e-9))
		}
	}
	return vector
}

func moments(series []float64) (mean, power float64) {
	count := math.Max(1, float64(len(series)))
	for _, value := range series {
		mean += value / count
	}
	for _, value := range series {
		power += (value - mean) * (value - mean) / count
	}
	return mean, power
}
