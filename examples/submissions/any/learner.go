package main

import "math"

// model keeps sums alone, so that learning from one more example costs the same at any time.
type model struct {
	count        float64
	sum, squares []float64
	labelCount   []float64
	labelSum     [][]float64
}

func newModel(labels int) *model {
	return &model{labelCount: make([]float64, labels), labelSum: make([][]float64, labels)}
}

func (m *model) learn(x []float64, labels []int) {
	if m.sum == nil {
		m.sum, m.squares = make([]float64, len(x)), make([]float64, len(x))
		for k := range m.labelSum {
			m.labelSum[k] = make([]float64, len(x))
		}
	}
	m.count++
	for j, value := range x {
		m.sum[j] += value
		m.squares[j] += value * value
	}
	for _, k := range labels {
		m.labelCount[k]++
		for j, value := range x {
			m.labelSum[k][j] += value
		}
	}
}

// predict gives each label more than 0.5 where an example is nearer to the mean of those that have the label than to
// the mean of the others. Each number is weighed by its variance (linear discriminants without covariances).
func (m *model) predict(test [][]float64) [][]float64 {
	prediction := make([][]float64, len(test))
	for i := range prediction {
		prediction[i] = make([]float64, len(m.labelCount))
	}
	for k, present := range m.labelCount {
		weights, offset := m.discriminant(k, present, m.count-present)
		for i, x := range test {
			score := offset
			for j, weight := range weights {
				score += weight * x[j]
			}
			prediction[i][k] = 1 / (1 + math.Exp(-score))
		}
	}
	return prediction
}

func (m *model) discriminant(k int, present, absent float64) ([]float64, float64) {
	weights, offset := make([]float64, len(m.sum)), 0.0
	if present == 0 || absent == 0 {
		return weights, offset
	}
	for j := range weights {
		mean := m.sum[j] / m.count
		variance := m.squares[j]/m.count - mean*mean
		if variance < 1e-9 {
			continue
		}
		with, without := m.labelSum[k][j]/present, (m.sum[j]-m.labelSum[k][j])/absent
		weights[j] = (with - without) / variance / math.Sqrt(float64(len(weights)))
		offset -= weights[j] * (with + without) / 2
	}
	return weights, offset
}
