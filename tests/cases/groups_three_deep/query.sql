WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN NOT (u."vip") THEN 1 ELSE 0 END + CASE WHEN (u."level" > 4 OR (contains(u."city", 'a') AND (list_has_any(u."tags", ['sports']) OR u."credit" < CAST('0.50' AS DECIMAL(2, 2))))) THEN 2 ELSE 0 END AS m0
  FROM users AS u
  WHERE NOT (u."vip") OR (u."level" > 4 OR (contains(u."city", 'a') AND (list_has_any(u."tags", ['sports']) OR u."credit" < CAST('0.50' AS DECIMAL(2, 2)))))
)
SELECT user_id
FROM masks
WHERE ((m0 & 1) <> 0 AND (m0 & 2) <> 0)
