// The Go clients against the broker at BOOTSTRAP: franz-go and Sarama.
package main

import (
	"fmt"
	"os"
)

func main() {
	franzClients()
	franzAdmin()
	saramaClients()
	consumerGroups()
	transactions()
	fmt.Println("end go")
	if failures > 0 {
		os.Exit(1)
	}
}
