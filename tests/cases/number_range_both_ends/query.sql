WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN (u."credit" >= CAST('0.10' AS DECIMAL(2, 2)) AND u."credit" <= CAST('19.99' AS DECIMAL(4, 2))) THEN 1 ELSE 0 END AS m0
  FROM users AS u
  WHERE (u."credit" >= CAST('0.10' AS DECIMAL(2, 2)) AND u."credit" <= CAST('19.99' AS DECIMAL(4, 2)))
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
