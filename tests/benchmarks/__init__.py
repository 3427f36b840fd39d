"""What things cost, printed beside a floor. Not tests: nothing here fails."""
